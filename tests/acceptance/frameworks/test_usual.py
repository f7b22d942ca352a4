"""Frameworks that are in every run of the tests, each with its real worker."""

from tests.acceptance.frameworks.running import Prepare
from tests.services.rowdis import Rowdis


def test_celery(framework: Prepare) -> None:
    celery = framework("usual")
    words = ("-A", "celery_jobs", "worker", "--concurrency", "2", "-Q", "celery,other", "-E", "-n", "worker@here")
    with celery.worker("-m", "celery", *words, "--loglevel", "INFO", ready="worker@here ready."):
        celery.check("celery_client.py")


def test_rq(framework: Prepare, mariadb_rowdis: Rowdis) -> None:
    rq = framework("usual")
    words = ("--with-scheduler", "--url", f"redis://127.0.0.1:{mariadb_rowdis.port}/0", "default")
    with rq.worker("-m", "rq.cli", "worker", *words, ready="Listening on default"):
        rq.check("rq_client.py")
