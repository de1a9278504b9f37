"""What is cached is forgotten when it changes."""

from typing import Any

from django.core.cache import cache
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from .models import Topic

TOPICS = "topics"


@receiver((post_save, post_delete), sender=Topic)
def forget_topics(**_: Any) -> None:
    cache.delete(TOPICS)


def topics() -> list[Topic]:
    """All topics, from the cache if they are there."""
    return cache.get_or_set(TOPICS, lambda: list(Topic.objects.all()), timeout=300)
