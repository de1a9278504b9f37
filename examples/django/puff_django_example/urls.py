"""Which view answers which path."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.templatetags.static import static as static_url
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", include("polls.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    # Pages that name no icon, such as the admin's, have browsers ask for this one.
    path("favicon.ico", RedirectView.as_view(url=static_url("polls/icon.svg"))),
    # With DEBUG only. Where `puff.toml` mounts the folders, Puff answers before Django is asked.
    *staticfiles_urlpatterns(),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
