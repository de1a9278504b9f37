"""The tables, which the harness makes."""

from django.db import models


class Question(models.Model):
    id = models.IntegerField(primary_key=True)
    question_text = models.TextField()

    class Meta:
        db_table = "polls_question"
        managed = False
        ordering = ("id",)


class Choice(models.Model):
    id = models.IntegerField(primary_key=True)
    question = models.ForeignKey(Question, models.CASCADE, related_name="choices")
    choice_text = models.TextField()
    votes = models.IntegerField()

    class Meta:
        db_table = "polls_choice"
        managed = False
        ordering = ("id",)
