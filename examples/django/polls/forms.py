"""What visitors may send us, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .models import Choice, Comment, Question, Topic

LARGEST_PICTURE = 2 << 20
MOST_CHOICES = 8


class SearchForm(forms.Form):
    """The list's search. What makes no sense is left out of it, rather than an error."""

    ORDERS = (("new", _("Newest")), ("votes", _("Most votes")))

    q = forms.CharField(
        label=_("Search"), required=False, max_length=100, widget=forms.TextInput({"type": "search"})
    )
    order = forms.ChoiceField(label=_("Order"), required=False, choices=ORDERS)


class VoteForm(forms.Form):
    """One of a question's answers."""

    choice = forms.ModelChoiceField(
        Choice.objects.none(),
        widget=forms.RadioSelect,
        empty_label=None,
        error_messages={"required": _("Choose one of the answers.")},
    )

    def __init__(self, question: Question, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["choice"].queryset = question.choices.all()


class CommentForm(forms.ModelForm):
    class Meta:
        model = Comment
        fields = ("text",)
        widgets = {"text": forms.Textarea({"rows": 3})}  # noqa: RUF012
        labels = {"text": _("Your comment")}  # noqa: RUF012


class QuestionForm(forms.ModelForm):
    """A question with its answers, one a line."""

    topic = forms.ModelChoiceField(Topic.objects.all(), label=_("Topic"), required=False)
    choices = forms.CharField(
        label=_("Answers"), widget=forms.Textarea({"rows": 5}), help_text=_("One in each line.")
    )

    class Meta:
        model = Question
        fields = ("question_text", "topic", "choices", "picture", "closes_at")
        widgets = {"closes_at": forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M")}  # noqa: RUF012
        labels = {"question_text": _("Your question"), "closes_at": _("Closes")}  # noqa: RUF012

    def clean_choices(self) -> list[str]:
        lines = (line.strip() for line in self.cleaned_data["choices"].splitlines())
        choices = list(dict.fromkeys(line for line in lines if line))
        if not 2 <= len(choices) <= MOST_CHOICES:
            raise forms.ValidationError(
                _("There have to be 2 to %(most)s different answers."), params={"most": MOST_CHOICES}
            )
        if any(len(choice) > 200 for choice in choices):
            raise forms.ValidationError(_("An answer has 200 characters at most."))
        return choices

    def clean_picture(self) -> Any:
        picture = self.cleaned_data["picture"]
        if picture and picture.size > LARGEST_PICTURE:
            raise forms.ValidationError(_("A picture has 2 MB at most."))
        return picture

    def clean_closes_at(self) -> Any:
        closes_at = self.cleaned_data["closes_at"]
        if closes_at and closes_at <= timezone.now():
            raise forms.ValidationError(_("That is over already."))
        return closes_at


class SignUpForm(BaseUserCreationForm):
    """A new account."""

    email = forms.EmailField(label=_("E-mail"))

    class Meta:
        model = User
        fields = ("username", "email")

    def clean_username(self) -> str:
        name = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError(_("This name is taken."))
        return name
