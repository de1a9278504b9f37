"""The pages, as visitors have them."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from polls.models import Choice, Comment, Question, Topic, Vote


def png(size: int = 8) -> SimpleUploadedFile:
    file = io.BytesIO()
    Image.new("RGB", (size, size), "navy").save(file, "PNG")
    return SimpleUploadedFile("sky.png", file.getvalue(), "image/png")


def test_the_list(client: Client, question: Question) -> None:
    Question.objects.create(question_text="Tomorrow?", pub_date=timezone.now() + timedelta(days=1))
    page = client.get("/").content.decode()
    assert "Tea or coffee?" in page
    assert "Tomorrow?" not in page
    assert "0 votes" in page


def test_the_list_is_searched(client: Client, question: Question) -> None:
    Question.objects.create(question_text="Cats or dogs?", topic=Topic.objects.get(slug="home"))
    for query, texts in {
        "q=coffee": ["Tea or coffee?"],
        "q=COFFEE&order=votes": ["Tea or coffee?"],
        "topic=home": ["Cats or dogs?"],
        "topic=nothing&order=nonsense&page=99": ["Cats or dogs?", "Tea or coffee?"],
        "q=milk": [],
    }.items():
        found = client.get(f"/?{query}").context["page"]
        assert [each.question_text for each in found] == texts, query


def test_the_list_takes_two_statements(
    client: Client, question: Question, django_assert_num_queries: Any
) -> None:
    client.get("/")  # the topics are in the cache from now on
    for number in range(20):
        Question.objects.create(question_text=f"{number}?", author=question.author)
    with django_assert_num_queries(2):  # how many there are, and those on the page
        assert "19?" in client.get("/").content.decode()


def test_topics_are_cached_until_they_change(client: Client, db: None) -> None:
    assert "Travel" in client.get("/").content.decode()
    assert "Travel" in [topic.name for topic in cache.get("topics")]
    Topic.objects.create(name="Weather", slug="weather")
    assert "Weather" in client.get("/").content.decode()


def test_who_votes_has_to_log_in(client: Client, question: Question, tea: Choice) -> None:
    answer = client.post(f"/polls/{question.pk}/vote/", {"choice": tea.pk})
    assert answer.url == f"/accounts/login/?next=/polls/{question.pk}/vote/"
    assert not Vote.objects.exists()


def test_a_vote(client: Client, question: Question, tea: Choice, ada: User) -> None:
    client.force_login(ada)
    page = client.post(f"/polls/{question.pk}/vote/", {"choice": tea.pk}, follow=True)
    assert "Your vote counts." in page.content.decode()
    assert page.context["question"].total_votes == 1
    assert "Change my vote" in page.content.decode()


def test_a_vote_for_nothing(client: Client, question: Question, ada: User) -> None:
    other = Question.objects.create(question_text="Another?")
    choice = Choice.objects.create(question=other, choice_text="Its own")
    client.force_login(ada)
    for data in ({}, {"choice": choice.pk}, {"choice": "x"}):
        answer = client.post(f"/polls/{question.pk}/vote/", data)
        assert answer.status_code == 422, data
    assert not Vote.objects.exists()


def test_a_comment(client: Client, question: Question, ada: User) -> None:
    client.force_login(ada)
    page = client.post(f"/polls/{question.pk}/comment/", {"text": "<b>Tea</b>"}, follow=True)
    assert "&lt;b&gt;Tea&lt;/b&gt;" in page.content.decode()
    assert client.post(f"/polls/{question.pk}/comment/", {"text": " "}).status_code == 422
    assert client.post(f"/polls/{question.pk}/comment/", {"text": "x" * 1001}).status_code == 422
    Comment.objects.update(hidden=True)
    assert "Tea&lt;" not in client.get(f"/polls/{question.pk}/").content.decode()


def test_a_question(client: Client, ada: User) -> None:
    client.force_login(ada)
    fields = {"question_text": "Where to?", "choices": "North\n South \n\nNorth", "picture": png()}
    page = client.post("/ask/", fields, follow=True)
    question = Question.objects.get()
    assert page.context["question"] == question
    assert [choice.choice_text for choice in question.choices.all()] == ["North", "South"]
    assert question.author == ada
    assert question.picture.size == len(png())


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"question_text": ""}, "question_text"),
        ({"choices": "One\nOne"}, "choices"),
        ({"choices": "\n".join(map(str, range(9)))}, "choices"),
        ({"closes_at": "2001-01-01T00:00"}, "closes_at"),
        ({"picture": SimpleUploadedFile("a.png", b"no picture")}, "picture"),
        ({"picture": SimpleUploadedFile("a.svg", b"<svg/>")}, "picture"),
    ],
    ids=["empty", "same", "many", "over", "damaged", "script"],
)
def test_a_question_that_has_to_be_mended(
    client: Client, ada: User, fields: dict[str, Any], field: str
) -> None:
    client.force_login(ada)
    answer = client.post("/ask/", {"question_text": "Where to?", "choices": "North\nSouth", **fields})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not Question.objects.exists()


def test_signing_up(
    client: Client, db: None, mailoutbox: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    form = {"username": "bob", "email": "bob@example.com", "password1": "f9-Kx_2p", "password2": "f9-Kx_2p"}
    with django_capture_on_commit_callbacks(execute=True):
        page = client.post("/sign-up/", form, follow=True)
    assert "Welcome, bob!" in page.content.decode()
    assert page.context["user"].username == "bob"
    [letter] = mailoutbox
    assert letter.to == ["bob@example.com"]
    assert "Hello bob," in letter.body
    again = Client().post("/sign-up/", {**form, "username": "BOB"})
    assert again.context["form"].errors["username"] == ["This name is taken."]


def test_a_forgotten_password(client: Client, ada: User, mailoutbox: list[Any]) -> None:
    client.post("/accounts/password_reset/", {"email": "ada@example.com"})
    link = next(line for line in mailoutbox[0].body.splitlines() if "/reset/" in line)
    page = client.get(link, follow=True)
    assert page.status_code == 200
    form = {"new_password1": "f9-Kx_2p", "new_password2": "f9-Kx_2p"}
    assert client.post(page.request["PATH_INFO"], form).status_code == 302
    assert client.login(username="ada", password="f9-Kx_2p")


def test_languages(client: Client, question: Question) -> None:
    assert "Was meinst du?" in client.get("/", headers={"Accept-Language": "de"}).content.decode()
    client.post("/i18n/setlang/", {"language": "de", "next": "/"})
    assert "Noch hat niemand" in client.get(f"/polls/{question.pk}/").content.decode()


def test_what_is_not_there(client: Client, db: None) -> None:
    for path in ("/polls/999/", "/people/nobody/", "/elsewhere"):
        assert client.get(path).status_code == 404


def test_the_numbers_of_a_question_are_a_stream(client: Client, question: Question) -> None:
    answer = client.get(f"/polls/{question.pk}/live/")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    answer.close()
