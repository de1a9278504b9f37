"""`load_polls`: fills the site with users, questions, votes and comments."""

from __future__ import annotations

import argparse
import random
from collections import Counter
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from polls.loading import DOMAIN, Loader


class Command(BaseCommand):
    help = "Makes up users, questions, votes and comments. The same seed makes the same ones."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--questions", type=at_least(0), default=1000, help="how many; 1000")
        parser.add_argument("--votes", type=at_least(0), default=10_000, help="how many; 10000")
        parser.add_argument("--comments", type=at_least(0), default=3000, help="how many; 3000")
        parser.add_argument("--users", type=at_least(1), default=500, help="how many; 500")
        parser.add_argument("--seed", type=int, default=1, help="a number that decides what is made up; 1")
        parser.add_argument("--clear", action="store_true", help="first removes what was loaded before")
        parser.add_argument("--quiet", action="store_true", help="shows no progress")

    def handle(self, **options: Any) -> None:
        questions, votes, users = options["questions"], options["votes"], options["users"]
        if (votes or options["comments"]) and not questions:
            raise CommandError("votes and comments need questions: say --votes 0 --comments 0")
        if votes > questions * users:
            raise CommandError(f"{users} users can vote {questions * users} times on {questions} questions")
        # At the top of an hour, so that the same seed makes the same data for a while.
        now = timezone.now().replace(minute=0, second=0, microsecond=0)
        loader = Loader(random.Random(options["seed"]), now, options["quiet"])
        with transaction.atomic():  # all of it or nothing
            if options["clear"]:
                loader.clear()
            elif User.objects.filter(email__endswith=f"@{DOMAIN}").exists():
                raise CommandError("the data is there already: --clear removes it first")
            loader.load(options)
        if options["clear"]:
            self.say("removed", loader.removed)
        self.say("made", loader.made)

    def say(self, what: str, counts: Counter[str]) -> None:
        listed = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        self.stdout.write(self.style.SUCCESS(f"{what} {listed or 'nothing'}"))


def at_least(least: int) -> Any:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"at least {least}")
        return value

    return number
