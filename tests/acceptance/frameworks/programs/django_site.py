"""A Django site whose cache and sessions are on Redis; as a program it serves one port, which it tells the cache."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings
from steps import URL

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"{URL}/1",
            "KEY_PREFIX": "site",
            "TIMEOUT": 1000,
        }
    },
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not secret",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    USE_TZ=True,
)
django.setup()

from django.core.cache import cache  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402


def visit(request: HttpRequest) -> JsonResponse:
    """Count the visits of a session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def log_out(request: HttpRequest) -> JsonResponse:
    request.session.flush()
    return JsonResponse({})


@cache_page(100)
def made_once(request: HttpRequest) -> JsonResponse:
    """A page that the cache keeps: it tells how often it was made."""
    return JsonResponse({"made": cache.incr("made")})


urlpatterns = [path("visit", visit), path("log-out", log_out), path("made-once", made_once)]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


if __name__ == "__main__":
    with make_server("127.0.0.1", 0, get_wsgi_application(), Server, Silent) as server:
        cache.set(f"port:{sys.argv[1]}", server.server_port)
        print("serving", flush=True)
        server.serve_forever()
