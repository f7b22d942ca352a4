"""Frameworks that run where they are asked for, each with its real worker."""

import signal
from pathlib import Path

from tests.acceptance.frameworks.running import Framework, Prepare, only_where_asked_for
from tests.services.mariadb import MariaDB
from tests.services.rowdis import Rowdis

pytestmark = only_where_asked_for
TERMINATED = -signal.SIGTERM


def test_dramatiq(framework: Prepare) -> None:
    dramatiq = framework("others")
    with dramatiq.worker("-m", "dramatiq", "dramatiq_jobs", "--processes", "1", "--threads", "4", ready="is ready for"):
        dramatiq.check("dramatiq_client.py")


def test_huey(framework: Prepare) -> None:
    huey = framework("others")
    words = ("huey_jobs.huey", "--workers", "2", "--delay", "0.02", "--scheduler-interval", "1", "--no-periodic")
    with huey.worker("-m", "huey.bin.huey_consumer", *words, ready="Huey consumer started"):
        huey.check("huey_client.py")


def test_arq(framework: Prepare) -> None:
    arq = framework("arq")
    with arq.worker("-m", "arq", "arq_jobs.WorkerSettings", ready="Starting worker"):
        arq.check("arq_client.py")


def test_django_redis(framework: Prepare) -> None:
    django = framework("others")
    with (
        django.worker("django_site.py", "0", ready="serving", code=TERMINATED),
        django.worker("django_site.py", "1", ready="serving", code=TERMINATED),
    ):
        django.check("django_client.py")


def test_channels_redis(framework: Prepare) -> None:
    channels = framework("others")
    words = ("-m", "django", "runworker", "thumbnails", "--settings", "channels_site")
    with (
        channels.worker(*words, ready="Running worker", code=TERMINATED),
        channels.worker(*words, ready="Running worker", code=TERMINATED),
    ):
        channels.check("channels_client.py")


def test_celery_loses_nothing_when_rowdis_is_killed(mariadb: MariaDB, tmp_path: Path) -> None:
    """What was acknowledged is there when Rowdis is back, and the worker finds it by itself."""
    with Rowdis(mariadb.create_database("rowdis_celery")) as rowdis:
        celery = Framework("usual", rowdis, tmp_path)
        words = ("-A", "celery_jobs", "worker", "--concurrency", "1", "-n", "worker@here", "--loglevel", "INFO")
        with celery.worker("-m", "celery", *words, ready="worker@here ready."):
            celery.check("celery_restart.py", "before")
            rowdis.kill9()
            rowdis.start()
            celery.check("celery_restart.py", "after")
