"""`find_duplicates`: questions that ask nearly the same. Rust compares them."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import puff
from polls.models import Question


class Command(BaseCommand):
    help = "Lists pairs of questions that ask nearly the same. It runs in the Rust program only."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--threshold", type=float, default=0.6, help="how alike they are, 0 to 1; 0.6")
        parser.add_argument("--limit", type=int, default=20, help="how many pairs are listed; 20")

    def handle(self, threshold: float, limit: int, **options: Any) -> None:
        if not 0 < threshold <= 1:
            raise CommandError("--threshold has to be more than 0, and 1 at most")
        try:
            rust = puff.global_state()
        except RuntimeError as error:
            raise CommandError(
                "this command compares in Rust: start it with `cargo run -- django find_duplicates`"
            ) from error
        questions = list(Question.objects.order_by("pk").values_list("pk", "question_text"))
        texts = [text for _, text in questions]
        # A future on Tokio: other greenlets run meanwhile.
        pairs = puff.wrap_async(lambda return_func: rust.find_duplicates(return_func, texts, threshold))
        for one, other, likeness in pairs[: max(limit, 0)]:
            (pk, text), (other_pk, other_text) = questions[one], questions[other]
            self.stdout.write(f"{likeness:.0%}  {pk} {text}  |  {other_pk} {other_text}")
        self.stdout.write(f"{len(pairs)} pairs among {len(questions)} questions")
