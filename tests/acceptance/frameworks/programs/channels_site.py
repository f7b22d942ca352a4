"""Settings of a Django project whose channel layers are on Redis; `django-admin runworker` runs its application."""

from steps import URL

ASGI_APPLICATION = "channels_application.application"
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [f"{URL}/0"], "capacity": 100, "channel_capacity": {"narrow*": 3}},
    },
    "pubsub": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [f"{URL}/0"]},
    },
}
INSTALLED_APPS = ["channels"]
SECRET_KEY = "not secret"
LOGGING = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django.channels": {"handlers": ["console"], "level": "INFO"}},
}
