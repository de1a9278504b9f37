"""The admin: `/admin/`."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import voting
from .models import Choice, Comment, Question, Topic, Vote

admin.site.site_header = _("Polls")
admin.site.site_title = _("Polls")


class OpenFilter(admin.SimpleListFilter):
    """Whether one may vote."""

    title = _("open")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        is_open = Q(closes_at=None) | Q(closes_at__gt=timezone.now())
        if self.value() == "yes":
            return queryset.filter(is_open)
        return queryset.exclude(is_open) if self.value() == "no" else queryset


class ChoiceInline(admin.TabularInline):
    model = Choice
    extra = 1
    min_num = 2
    readonly_fields = ("votes",)


@admin.register(Question)
class QuestionAdmin(admin.ModelAdmin):
    inlines = (ChoiceInline,)
    fieldsets = (
        (None, {"fields": ("question_text", "topic", "author")}),
        (_("Picture"), {"fields": ("picture", "preview")}),
        (_("When"), {"fields": ("pub_date", "closes_at")}),
    )
    readonly_fields = ("preview",)
    autocomplete_fields = ("author", "topic")
    list_display = ("question_text", "topic", "author", "total_votes", "open", "pub_date")
    list_filter = ("topic", OpenFilter, "pub_date")
    list_select_related = ("topic", "author")
    list_per_page = 50
    search_fields = ("question_text", "choices__choice_text", "author__username")
    date_hierarchy = "pub_date"
    actions = ("close",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).with_counts()

    @admin.display(description=_("votes"), ordering="total_votes")
    def total_votes(self, question: Question) -> int:
        return question.total_votes

    @admin.display(description=_("open"), boolean=True)
    def open(self, question: Question) -> bool:
        return question.is_open

    @admin.display(description=_("preview"))
    def preview(self, question: Question) -> str:
        if not question.picture:
            return "-"
        return format_html('<img src="{}" alt="" style="max-height: 12rem">', question.picture.url)

    @admin.action(description=_("Close the chosen questions"))
    def close(self, request: HttpRequest, queryset: QuerySet) -> None:
        # An annotated queryset cannot be updated: by its keys.
        closed = Question.objects.filter(pk__in=queryset.values("pk")).update(closes_at=timezone.now())
        text = ngettext("%d question is closed.", "%d questions are closed.", closed)
        self.message_user(request, text % closed)


@admin.register(Topic)
class TopicAdmin(admin.ModelAdmin):
    list_display = ("name", "slug")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}  # noqa: RUF012


@admin.register(Comment)
class CommentAdmin(admin.ModelAdmin):
    list_display = ("text", "author", "question", "written_at", "hidden")
    list_editable = ("hidden",)
    list_filter = ("hidden", "written_at")
    list_select_related = ("author", "question")
    search_fields = ("text", "author__username")
    raw_id_fields = ("question", "author")


@admin.register(Vote)
class VoteAdmin(admin.ModelAdmin):
    """Votes are looked at and removed, but not made here."""

    list_display = ("question", "choice", "user", "voted_at")
    list_filter = ("voted_at",)
    list_select_related = ("question", "choice", "user")
    search_fields = ("user__username", "question__question_text")

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def delete_model(self, request: HttpRequest, vote: Vote) -> None:
        voting.withdraw(vote)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for vote in queryset:
            voting.withdraw(vote)
