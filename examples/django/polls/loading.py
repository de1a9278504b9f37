"""Made-up users, questions, votes and comments, a thousand rows a statement."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db.models import Model
from tqdm import tqdm

from .models import Choice, Comment, Question, Topic, Vote

M = TypeVar("M", bound=Model)

DOMAIN = "loaded.example"
"""The addresses of users that are made here, by which one finds what is made up."""
BATCH = 1000

NAMES = "Ada|Ben|Cleo|Dan|Edda|Finn|Greta|Hugo|Ida|Jon|Kim|Lena|Max|Nora|Otto|Pia|Quin|Rosa|Sam"
QUESTIONS = {
    "food": (
        "What belongs on a {} pizza?",
        "What goes best with {} bread?",
        "Which {} breakfast is the best?",
    ),
    "home": ("What grows best in a {} garden?", "Which colour for a {} kitchen?", "What makes a {} evening?"),
    "music": ("Which {} song never gets old?", "Which {} film would you see again?", "Best {} concert?"),
    "science": (
        "Which {} discovery changed the most?",
        "Which {} planet would you visit?",
        "Which {} invention could you not do without?",
    ),
    "sport": ("Which {} sport is underrated?", "Best {} way to train?", "Who wins the {} cup?"),
    "travel": ("Where to on a {} weekend?", "Which {} island?", "Best way to see a {} city?"),
}
KINDS = "quiet|cheap|perfect|rainy|sunny|famous|simple|strange|classic|modern|little|great|northern"
ANSWERS = {
    "food": "Olives|Basil|Mushrooms|Honey|Goat cheese|Porridge|Pancakes|Tomatoes|Pickles|Figs",
    "home": "Roses|Tomatoes|Moss green|Light blue|Candles|A good book|Lavender|White|Herbs|Nothing at all",
    "music": "Anything by the Beatles|A waltz|Jazz|Metropolis|The one with the shark|Bach|Techno|A western",
    "science": "Saturn|Penicillin|The wheel|Gravity|The lens|Neptune|Evolution|Vaccines|Zero|Electricity",
    "sport": "Rowing|Chess|Curling|Running|Swimming|Badminton|Whoever trains|Fencing|Hiking|Cycling",
    "travel": "Lisbon|Crete|By train|By bike|On foot|Gotland|Ghent|Skye|Stay at home|Porto",
}
REMARKS = (
    "I would never have thought of that.",
    "Easy. Next question!",
    "It depends on the weather.",
    "My grandmother would disagree.",
    "How is this even close?",
    "Voted, and changed my mind twice.",
    "There is an answer missing.",
    "Finally somebody asks.",
)


class Loader:
    """Fills the database, within the caller's transaction.

    Args:
        luck: decides what is made up.
        now: what all times are before.
        quiet: whether no progress is shown; on what is no terminal none is anyway.
    """

    def __init__(self, luck: random.Random, now: datetime, quiet: bool) -> None:
        self.luck = luck
        self.now = now
        self.quiet = quiet
        self.made: Counter[str] = Counter()
        self.removed: Counter[str] = Counter()

    def clear(self) -> None:
        """Removes what this command has made, and what others have said to that."""
        mine = User.objects.filter(email__endswith=f"@{DOMAIN}")
        for doomed in (Question.objects.filter(author__in=mine), mine):
            for name, number in doomed.delete()[1].items():
                self.removed[name.rpartition(".")[2].lower() + "s"] += number

    def load(self, wanted: dict[str, Any]) -> None:
        users = self.save(User, wanted["users"], self.users(wanted["users"]))
        topics = list(Topic.objects.filter(slug__in=QUESTIONS).order_by("slug"))
        questions = self.save(
            Question, wanted["questions"], self.questions(wanted["questions"], users, topics)
        )
        choices = self.save(Choice, None, self.choices(questions))
        self.save(Vote, wanted["votes"], self.votes(wanted["votes"], questions, choices, users))
        Choice.objects.bulk_update([choice for choice in choices if choice.votes], ("votes",), BATCH)
        self.save(Comment, wanted["comments"], self.comments(wanted["comments"], questions, users))

    def save(self, model: type[M], total: int | None, objects: Iterator[M]) -> list[M]:
        """Inserts objects a thousand at a time, and shows how far it is."""
        name = str(model._meta.model_name) + "s"
        saved: list[M] = []
        with tqdm(total=total, desc=f"{name:>10}", unit="", disable=True if self.quiet else None) as bar:
            while batch := list(islice(objects, BATCH)):
                saved += model.objects.bulk_create(batch)
                bar.update(len(batch))
        self.made[name] = len(saved)
        return saved

    def users(self, count: int) -> Iterator[User]:
        nobody = make_password(None)  # cannot log in
        for number in range(count):
            name = f"{self.luck.choice(NAMES.split('|')).lower()}{number}"
            yield User(username=name, email=f"{name}@{DOMAIN}", password=nobody, date_joined=self.ago(900))

    def questions(self, count: int, users: list[User], topics: list[Topic]) -> Iterator[Question]:
        for _ in range(count):
            slug = self.luck.choice(sorted(QUESTIONS))
            text = self.luck.choice(QUESTIONS[slug]).format(self.luck.choice(KINDS.split("|")))
            closed = self.luck.random() < 0.1
            yield Question(
                question_text=text,
                topic=next((topic for topic in topics if topic.slug == slug), None),
                author=self.luck.choice(users),
                pub_date=self.ago(365),
                closes_at=self.now - timedelta(hours=self.luck.randrange(1, 72)) if closed else None,
            )

    def choices(self, questions: Iterable[Question]) -> Iterator[Choice]:
        for question in questions:
            slug = question.topic.slug if question.topic else "food"
            for text in self.luck.sample(ANSWERS[slug].split("|"), self.luck.randrange(2, 6)):
                yield Choice(question=question, choice_text=text)

    def votes(
        self, count: int, questions: list[Question], choices: list[Choice], users: list[User]
    ) -> Iterator[Vote]:
        """Each pair of a question and a user once; the numbers in the choices follow."""
        of_question: dict[int, list[Choice]] = {}
        for choice in choices:
            of_question.setdefault(choice.question_id, []).append(choice)
        for pair in self.luck.sample(range(len(questions) * len(users)), count):
            question, user = questions[pair // len(users)], users[pair % len(users)]
            answers = of_question[question.pk]
            # Some answers are liked better than others.
            choice = answers[min(self.luck.randrange(len(answers)), self.luck.randrange(len(answers)))]
            choice.votes += 1
            yield Vote(question=question, choice=choice, user=user, voted_at=self.ago(30))

    def comments(self, count: int, questions: list[Question], users: list[User]) -> Iterator[Comment]:
        for _ in range(count):
            yield Comment(
                question=self.luck.choice(questions),
                author=self.luck.choice(users),
                text=self.luck.choice(REMARKS),
                written_at=self.ago(30),
            )

    def ago(self, days: int) -> datetime:
        return self.now - timedelta(minutes=self.luck.randrange(days * 24 * 60))
