"""For hosts that know no ASGI. Waiting requests hold a thread each there, and bodies are the server's to limit."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "searchapp.settings")
application = get_wsgi_application()
