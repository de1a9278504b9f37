"""The pages."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST, require_safe

import puff
from puff.contrib.django.http import EventStreamResponse
from puff.pubsub import START
from puff.web import event_stream

from . import voting
from .forms import CommentForm, QuestionForm, SearchForm, SignUpForm, VoteForm
from .models import Choice, Question, Vote
from .signals import topics

log = logging.getLogger(__name__)

ON_A_PAGE = 12
COMMENTS = 50


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All questions, with a search."""
    search = SearchForm(request.GET)
    search.is_valid()
    wanted = search.cleaned_data
    questions = Question.objects.published().with_counts().select_related("topic", "author")
    topic = next((topic for topic in topics() if topic.slug == request.GET.get("topic")), None)
    if topic:
        questions = questions.filter(topic=topic)
    if words := wanted.get("q"):
        questions = questions.filter(question_text__icontains=words)
    if wanted.get("order") == "votes":
        questions = questions.order_by("-total_votes", "-pk")
    page = Paginator(questions, ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "search": search, "topics": topics(), "topic": topic}
    return render(request, "polls/index.html", context)


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """A page that needs no database."""
    return render(request, "polls/about.html")


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A question, its numbers and what is said about it."""
    return show(request, visible_question(pk))


def visible_question(pk: int) -> Question:
    questions = Question.objects.published().with_counts().select_related("topic", "author")
    return get_object_or_404(questions, pk=pk)


def show(request: HttpRequest, question: Question, status: int = 200, **forms: Any) -> HttpResponse:
    """The page of a question, with forms that have to be mended."""
    mine = request.user.is_authenticated and Vote.objects.filter(question=question, user=request.user).first()
    comments = question.comments.filter(hidden=False).select_related("author")
    initial = {"choice": mine.choice_id} if mine else {}
    context = {
        "question": question,
        "choices": question.choices.all(),
        "comments": comments[:COMMENTS],
        "mine": mine,
        "vote_form": VoteForm(question, initial=initial),
        "comment_form": CommentForm(),
        **forms,
    }
    return render(request, "polls/detail.html", context, status=status)


@require_POST
@login_required
def vote(request: HttpRequest, pk: int) -> HttpResponse:
    question = visible_question(pk)
    form = VoteForm(question, request.POST)
    if not form.is_valid():
        return show(request, question, 422, vote_form=form)
    try:
        voting.cast_vote(request.user, form.cleaned_data["choice"])
    except voting.Closed:
        messages.error(request, _("This poll is closed."))
    else:
        messages.success(request, _("Your vote counts. Thank you!"))
    return redirect(question)


@require_GET
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The numbers of a question as they change. Puff has the stream then; no greenlet waits."""
    question = visible_question(pk)
    try:
        return EventStreamResponse(event_stream(voting.channel(question.pk), since=START))
    except OSError as error:
        log.warning("no live votes for question %s: %s", pk, error)
        return HttpResponse(status=503)


@require_POST
@login_required
def comment(request: HttpRequest, pk: int) -> HttpResponse:
    question = visible_question(pk)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return show(request, question, 422, comment_form=form)
    form.instance.question = question
    form.instance.author = request.user
    form.save()
    return redirect(f"{question.get_absolute_url()}#comments")


@login_required
def ask(request: HttpRequest) -> HttpResponse:
    """A new question."""
    form = QuestionForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        form.instance.author = request.user
        with transaction.atomic():
            question = form.save()
            choices = form.cleaned_data["choices"]
            Choice.objects.bulk_create(Choice(question=question, choice_text=text) for text in choices)
        messages.success(request, _("Your question is there."))
        return redirect(question)
    return render(request, "polls/ask.html", {"form": form}, status=422 if form.errors else 200)


@require_safe
def person(request: HttpRequest, username: str) -> HttpResponse:
    """What somebody has asked and said."""
    somebody = get_object_or_404(User, username=username, is_active=True)
    questions = somebody.questions.published().with_counts().select_related("topic", "author")
    comments = somebody.comments.filter(hidden=False).select_related("question")
    context = {"person": somebody, "questions": questions[:ON_A_PAGE], "comments": comments[:ON_A_PAGE]}
    return render(request, "polls/person.html", context)


def sign_up(request: HttpRequest) -> HttpResponse:
    """A new account, and a letter that says so."""
    if request.user.is_authenticated:
        return redirect("polls:index")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            user = form.save()
            transaction.on_commit(lambda: welcome(user), robust=True)  # without a letter as well
        login(request, user)
        messages.success(request, _("Welcome, %(name)s!") % {"name": user.username})
        return redirect("polls:index")
    return render(request, "registration/sign_up.html", {"form": form}, status=422 if form.errors else 200)


def welcome(user: User) -> None:
    text = render_to_string("registration/welcome.txt", {"user": user})
    # Mail servers are talked to by Python's own sockets, which block: on a thread, other requests go on.
    puff.blocking(send_mail)(_("Welcome to Polls"), text, None, [user.email])
