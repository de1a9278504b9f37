"""Two views: a list, and the answer that GraphQL gives."""

import json

from django.http import HttpResponse

from .models import Question


def questions(request):
    return _json(_found("text", "text"))


def data(request):
    return _json({"data": {"questions": _found("questionText", "choiceText")}})


data.csrf_exempt = True


def _found(question_text, choice_text):
    """The questions with their choices; the texts come by these names."""
    found = Question.objects.all().prefetch_related("choices")[:20]
    return [
        {
            "id": question.id,
            question_text: question.question_text,
            "choices": [
                {"id": choice.id, choice_text: choice.choice_text, "votes": choice.votes}
                for choice in question.choices.all()
            ],
        }
        for question in found
    ]


def _json(answer):
    body = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
    # Without a length some servers chunk and some close the connection; CommonMiddleware would set it too.
    headers = {"Content-Length": str(len(body))}
    return HttpResponse(body, content_type="application/json", headers=headers)
