"""The tables, which the harness makes."""

from django.db import models


class Author(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()

    class Meta:
        db_table = "authors"
        managed = False
        ordering = ("id",)


class Post(models.Model):
    id = models.IntegerField(primary_key=True)
    author = models.ForeignKey(Author, models.CASCADE, related_name="posts")
    title = models.TextField()
    body = models.TextField()
    views = models.IntegerField()
    published = models.BooleanField()

    class Meta:
        db_table = "posts"
        managed = False
        ordering = ("id",)


class Comment(models.Model):
    id = models.IntegerField(primary_key=True)
    post = models.ForeignKey(Post, models.CASCADE, related_name="comments")
    body = models.TextField()

    class Meta:
        db_table = "comments"
        managed = False
        ordering = ("id",)
