"""Questions with choices, and what people say to them: votes and comments."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import FileExtensionValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

PICTURES = ("jpg", "jpeg", "png", "webp")


class Topic(models.Model):
    """What questions are about."""

    name = models.CharField(_("name"), max_length=40, unique=True)
    slug = models.SlugField(_("short name"), unique=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("topic")
        verbose_name_plural = _("topics")

    def __str__(self) -> str:
        return self.name


class QuestionQuerySet(models.QuerySet):
    def published(self) -> QuestionQuerySet:
        """Those that everybody may see."""
        return self.filter(pub_date__lte=timezone.now())

    def with_counts(self) -> QuestionQuerySet:
        """With `total_votes` and `total_comments`, in the same statement."""
        votes = Choice.objects.filter(question=models.OuterRef("pk")).values("question")
        comments = Comment.objects.filter(question=models.OuterRef("pk"), hidden=False).values("question")
        return self.annotate(
            total_votes=_total(votes.annotate(total=models.Sum("votes"))),
            total_comments=_total(comments.annotate(total=models.Count("pk"))),
        )


def _total(counted: models.QuerySet) -> Any:
    """The one number of a subquery, 0 where it has no row. Two joins would count each other's rows."""
    return models.functions.Coalesce(models.Subquery(counted.values("total")), 0)


class Question(models.Model):
    """Something to vote on."""

    question_text = models.CharField(_("question"), max_length=200)
    pub_date = models.DateTimeField(_("date published"), default=timezone.now, db_index=True)
    topic = models.ForeignKey(
        Topic, models.SET_NULL, null=True, blank=True, related_name="questions", verbose_name=_("topic")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="questions",
        verbose_name=_("author"),
    )
    picture = models.ImageField(
        _("picture"), upload_to="questions/%Y/%m", blank=True, validators=[FileExtensionValidator(PICTURES)]
    )
    closes_at = models.DateTimeField(_("closes"), null=True, blank=True)
    # How often its votes have changed: who hears of two changes knows which is the newer one.
    revision = models.PositiveIntegerField(default=0, editable=False)

    objects = QuestionQuerySet.as_manager()

    class Meta:
        ordering = ("-pub_date", "-pk")
        verbose_name = _("question")
        verbose_name_plural = _("questions")

    def __str__(self) -> str:
        return self.question_text

    def get_absolute_url(self) -> str:
        return reverse("polls:detail", args=(self.pk,))

    @property
    def is_open(self) -> bool:
        """Whether one may vote."""
        return self.closes_at is None or self.closes_at > timezone.now()


class Choice(models.Model):
    """One of the answers, with the number of its votes: a count of a million rows would be slow."""

    question = models.ForeignKey(Question, models.CASCADE, related_name="choices")
    choice_text = models.CharField(_("answer"), max_length=200)
    votes = models.PositiveIntegerField(_("votes"), default=0, editable=False)

    class Meta:
        ordering = ("pk",)
        verbose_name = _("answer")
        verbose_name_plural = _("answers")

    def __str__(self) -> str:
        return self.choice_text


class Vote(models.Model):
    """Somebody's vote. `polls.voting` writes it together with the number in its choice."""

    question = models.ForeignKey(Question, models.CASCADE, related_name="+", verbose_name=_("question"))
    choice = models.ForeignKey(Choice, models.CASCADE, related_name="+", verbose_name=_("answer"))
    # A vote counts on when the account has gone.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="votes",
        verbose_name=_("voter"),
    )
    voted_at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        ordering = ("-pk",)
        verbose_name = _("vote")
        verbose_name_plural = _("votes")
        constraints = (models.UniqueConstraint(fields=("question", "user"), name="one_vote_a_user"),)

    def __str__(self) -> str:
        return f"{self.user or '?'}: {self.choice}"


class Comment(models.Model):
    """What somebody says about a question."""

    question = models.ForeignKey(
        Question, models.CASCADE, related_name="comments", verbose_name=_("question")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="comments", verbose_name=_("author")
    )
    text = models.TextField(_("comment"), max_length=1000)
    written_at = models.DateTimeField(_("time"), default=timezone.now)
    hidden = models.BooleanField(_("hidden"), default=False)

    class Meta:
        ordering = ("-pk",)
        verbose_name = _("comment")
        verbose_name_plural = _("comments")

    def __str__(self) -> str:
        return self.text[:60]
