"""The topics that a new site begins with."""

from django.db import migrations

TOPICS = {
    "food": "Food and drink",
    "home": "Home and garden",
    "music": "Music and film",
    "science": "Science",
    "sport": "Sport",
    "travel": "Travel",
}


def make(apps, schema_editor):
    Topic = apps.get_model("polls", "Topic")
    Topic.objects.bulk_create(Topic(slug=slug, name=name) for slug, name in TOPICS.items())


def remove(apps, schema_editor):
    """Those that nobody uses: a question keeps its topic."""
    Topic = apps.get_model("polls", "Topic")
    Topic.objects.filter(slug__in=TOPICS, questions=None).delete()


class Migration(migrations.Migration):
    dependencies = [("polls", "0001_initial")]

    operations = [migrations.RunPython(make, remove)]
