"""All settings, read once from the environment and from `.env` beside manage.py. `.env.example` documents each."""

from __future__ import annotations

import math
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured

from searchapp.environment import Environment, database, read_file

BASE_DIR = Path(__file__).resolve().parent.parent
_env = Environment(os.environ, {} if os.environ.get("ENV_FILE") == "none" else read_file(BASE_DIR / ".env"))

APP_ENV = _env.choice("APP_ENV", "development", ("development", "production"))
PRODUCTION = APP_ENV == "production"
APP_HOST = _env.text("APP_HOST", "127.0.0.1")
APP_PORT = _env.number("APP_PORT", _env.number("PORT", 8000, low=1, high=65_535), low=1, high=65_535)

# Where things are
DATA_DIR = _env.folder("DATA_DIR", BASE_DIR / "data")
LIBRARY_DIR = _env.folder("LIBRARY_DIR", DATA_DIR / "library")
INDEX_DIR = _env.folder("INDEX_DIR", DATA_DIR / "index")
FEATURES_DIR = _env.folder("FEATURES_DIR", DATA_DIR / "features")
CLIPS_DIR = _env.folder("TEMP_DIR", DATA_DIR / "clips")

# Who may come in
_DEVELOPMENT_SECRET = "development-only-secret-which-production-refuses"
SECRET_KEY = _env.text("SECRET_KEY", _DEVELOPMENT_SECRET)
DEBUG = _env.flag("DEBUG", default=False)
ALLOWED_HOSTS = _env.names(
    "ALLOWED_HOSTS", "" if PRODUCTION else "*" if APP_HOST == "0.0.0.0" else ".localhost,127.0.0.1,[::1]"
)
CORS_ALLOWED_ORIGINS = _env.names("CORS_ORIGINS", "" if PRODUCTION else "http://localhost:3000,http://127.0.0.1:3000")
CSRF_TRUSTED_ORIGINS = _env.names("CSRF_TRUSTED_ORIGINS")
TRUSTED_PROXIES = frozenset(_env.names("TRUSTED_PROXIES"))
BEHIND_HTTPS = _env.flag("BEHIND_HTTPS", default=PRODUCTION)
LIBRARY_AUDIO_PUBLIC = _env.flag("LIBRARY_AUDIO_PUBLIC", default=not PRODUCTION)

if PRODUCTION:
    if DEBUG:
        raise ImproperlyConfigured("DEBUG must be off in production.")
    if SECRET_KEY == _DEVELOPMENT_SECRET or len(SECRET_KEY) < 50:
        raise ImproperlyConfigured("SECRET_KEY must be set in production, to at least 50 random characters.")
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts of this server in production, without *.")
if "*" in CORS_ALLOWED_ORIGINS:
    raise ImproperlyConfigured("CORS_ORIGINS must name each origin: * is not allowed.")

# Searches
CLIP_MAX_BYTES = _env.number("CLIP_MAX_MB", 15, low=1, high=200) * 1_000_000
SEARCHES_PER_MINUTE = _env.number("SEARCHES_PER_MINUTE", 30, low=1)
SEARCHES_WAITING = _env.number("SEARCHES_WAITING", 500, low=1)
KEEP_CLIPS = timedelta(hours=1)
KEEP_JOBS = timedelta(days=30)

# The queues. A task's lock starts when it is fetched, not when it starts: `retry` must outlast all before it.
SEARCH_WORKERS = _env.number("SEARCH_WORKERS", 2, low=1, high=64)
BUILD_PROCESSES = _env.number("BUILD_PROCESSES", os.cpu_count() or 1, low=1, high=256)
LEASE = {"searches": timedelta(seconds=30), "builds": timedelta(seconds=60)}
HEARTBEAT_STALE = {"searches": timedelta(seconds=35), "builds": timedelta(seconds=60)}
STOP_GRACE_S = _env.number("STOP_GRACE_S", 20, high=3600)
REDIS_URL = _env.text("REDIS_URL")


def _queue(*, workers: int, timeout_s: int, **more: Any) -> dict[str, Any]:
    turns = 1 + math.ceil((workers + 1) / workers)
    return {
        "workers": workers,
        "queue_limit": workers,
        "timeout": timeout_s,
        "retry": (timeout_s + 3) * turns + 1,
        **more,
    }


Q_CLUSTER: dict[str, Any] = {
    "name": "iknowthismelody",
    "label": "Queue",
    "bulk": 1,
    "max_attempts": 3,
    "ack_failures": False,
    "save_limit": -1,
    "scheduler": False,
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default"}),
    **_queue(workers=1, timeout_s=25),
    "ALT_CLUSTERS": {
        "searches": _queue(workers=SEARCH_WORKERS, timeout_s=25, poll=0.03, recycle=2000),
        # A build starts processes of its own, which daemons may not.
        "builds": _queue(workers=1, timeout_s=24 * 3600, poll=0.5, recycle=50, daemonize_workers=False),
    },
}

# Django
ROOT_URLCONF = "searchapp.urls"
ASGI_APPLICATION = "searchapp.asgi.application"
WSGI_APPLICATION = "searchapp.wsgi.application"
DATABASES = {"default": database(_env.text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'app.sqlite3'}"))}
# Workers ask the queue many times a second; in web processes each thread would keep a connection.
DATABASES["default"]["CONN_MAX_AGE"] = 600 if os.environ.get("Q_CLUSTER_NAME") else 0
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "django_q",
    "django_structlog",
    "ninja",
    "searchapp",
    "searchapp.library",
    "searchapp.search",
]
# All of them work without a thread of their own, so that a waiting request holds none.
MIDDLEWARE = [
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "searchapp.static.StaticFilesMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "searchapp.refusals.middleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

# Uploads: spooled to disk early, private, and one small form beside them.
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
DATA_UPLOAD_MAX_NUMBER_FILES = 5
BODY_MAX_BYTES = CLIP_MAX_BYTES + 200_000

# Headers
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BEHIND_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
X_FRAME_OPTIONS = "DENY"
CORS_URLS_REGEX = r"^/(v1/|health$)"

# Logs: one event a line, JSON in production
LOG_LEVEL = _env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
_processors: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
]
_renderer: list[structlog.types.Processor] = (
    [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if PRODUCTION
    else [structlog.dev.ConsoleRenderer(colors=False)]
)
structlog.configure(
    processors=[*_processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "events": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _processors,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "events"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django_structlog": {"level": LOG_LEVEL if PRODUCTION else "WARNING"},
        "faiss": {"level": "WARNING"},
        "django-q": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "django.server": {"level": "INFO"},
    },
}
