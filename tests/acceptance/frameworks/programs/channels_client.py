"""channels_redis as its users use it: messages to workers and back, groups, limits, and its layer of pub/sub."""

import asyncio
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "channels_site"

import django

django.setup()

from channels.exceptions import ChannelFull  # noqa: E402
from channels.layers import channel_layers  # noqa: E402
from steps import run, step  # noqa: E402


@step
async def workers_answer() -> str:
    layer = channel_layers.make_backend("default")
    mine = await layer.new_channel()
    for number in range(50):
        picture = bytes([number]) * 1000
        await layer.send("thumbnails", {
            "type": "thumbnail.make", "number": number, "picture": picture, "reply_channel": mine,
        })  # fmt: skip
    thumbs: dict[int, bytes] = {}
    workers: set[int] = set()
    while len(thumbs) < 50:
        # A message may come twice: a worker that begins takes over what another one has just taken.
        reply = await layer.receive(mine)
        thumbs[reply["number"]] = reply["thumb"]
        workers.add(reply["by"])
    assert thumbs == {number: bytes([number]) * 10 for number in range(50)}
    await layer.close_pools()
    return f"50 replies of {len(workers)} workers"


@step
async def groups_are_told() -> str:
    layer = channel_layers.make_backend("default")
    members = [await layer.new_channel() for _ in range(20)]
    for member in members:
        await layer.group_add("readers", member)
    await layer.send("thumbnails", {"type": "thumbnail.announce", "group": "readers", "text": "hello"})
    heard = await asyncio.gather(*(layer.receive(member) for member in members))
    assert heard == [{"type": "news", "text": "hello"}] * 20
    await layer.group_discard("readers", members[0])
    await layer.group_send("readers", {"type": "news", "text": "again"})
    heard = await asyncio.gather(*(layer.receive(member) for member in members[1:]))
    assert heard == [{"type": "news", "text": "again"}] * 19
    # What is sent to the one that has left comes first, so nothing else was.
    await layer.send(members[0], {"type": "news", "text": "only you"})
    assert await layer.receive(members[0]) == {"type": "news", "text": "only you"}
    await layer.close_pools()
    return "20 members"


@step
async def a_full_channel_takes_no_more() -> str:
    layer = channel_layers.make_backend("default")
    for number in range(3):
        await layer.send("narrow", {"type": "news", "text": str(number)})
    try:
        await layer.send("narrow", {"type": "news", "text": "3"})
    except ChannelFull:
        pass
    else:
        raise AssertionError("a fourth message was taken")
    assert [(await layer.receive("narrow"))["text"] for _ in range(3)] == ["0", "1", "2"]
    await layer.send("narrow", {"type": "news", "text": "4"})
    assert (await layer.receive("narrow"))["text"] == "4"
    await layer.close_pools()
    return "3 of 4"


@step
async def a_receiver_that_gives_up_loses_nothing() -> str:
    layer = channel_layers.make_backend("default")
    mine = await layer.new_channel()
    waiting = asyncio.create_task(layer.receive(mine))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await layer.send(mine, {"type": "news", "text": "late"})
    assert (await layer.receive(mine))["text"] == "late"
    await layer.flush()
    await layer.close_pools()
    return "received later"


@step
async def the_layer_of_pubsub() -> str:
    here, there = channel_layers.make_backend("pubsub"), channel_layers.make_backend("pubsub")
    members = [await here.new_channel() for _ in range(5)] + [await there.new_channel() for _ in range(5)]
    for number, member in enumerate(members):
        await (here if number < 5 else there).group_add("readers", member)
    await here.group_send("readers", {"type": "news", "text": "hello"})
    heard = [await (here if number < 5 else there).receive(member) for number, member in enumerate(members)]
    assert heard == [{"type": "news", "text": "hello"}] * 10
    await there.send(members[0], {"type": "news", "text": "only you"})
    assert await here.receive(members[0]) == {"type": "news", "text": "only you"}
    await here.flush()
    await there.flush()
    return "2 processes' layers, 10 members"


if __name__ == "__main__":
    run()
