"""What the workers of the project do: they answer what is sent to the channel "thumbnails"."""

import os

from channels.consumer import AsyncConsumer
from channels.routing import ChannelNameRouter, ProtocolTypeRouter


class Thumbnails(AsyncConsumer):
    async def thumbnail_make(self, message: dict[str, object]) -> None:
        """Answer who asked, and say which worker did it."""
        found = {"type": "made", "number": message["number"], "thumb": message["picture"][:10], "by": os.getpid()}
        await self.channel_layer.send(message["reply_channel"], found)

    async def thumbnail_announce(self, message: dict[str, object]) -> None:
        """Tell a group."""
        await self.channel_layer.group_send(message["group"], {"type": "news", "text": message["text"]})


application = ProtocolTypeRouter({"channel": ChannelNameRouter({"thumbnails": Thumbnails.as_asgi()})})
