"""Two views: a list, and the answer that GraphQL gives."""

import json

from django.http import HttpResponse

from .models import Question


def questions(request):
    found = Question.objects.all().prefetch_related("choices")[:20]
    answer = [
        {
            "id": question.id,
            "text": question.question_text,
            "choices": [
                {"id": choice.id, "text": choice.choice_text, "votes": choice.votes}
                for choice in question.choices.all()
            ],
        }
        for question in found
    ]
    return _json(answer)


def data(request):
    found = Question.objects.all().prefetch_related("choices")[:20]
    answer = [
        {
            "id": question.id,
            "questionText": question.question_text,
            "choices": [
                {"id": choice.id, "choiceText": choice.choice_text, "votes": choice.votes}
                for choice in question.choices.all()
            ],
        }
        for question in found
    ]
    return _json({"data": {"questions": answer}})


data.csrf_exempt = True


def _json(answer):
    body = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
    # Without a length some servers chunk and some close the connection; CommonMiddleware would set it too.
    headers = {"Content-Length": str(len(body))}
    return HttpResponse(body, content_type="application/json", headers=headers)
