"""Asks the library's GraphQL, and Django's ORM for the same."""

from __future__ import annotations

from typing import Any

import schema
from shelf.models import Author, Book, Choice, Country, Question, Room, Sheet, Tag, Vote, Work

import puff
from puff import graphql


def ask(document: str, **headers: str) -> Any:
    answer = puff.global_graphql().query(document, {}, headers=headers)
    assert "errors" not in answer, (document, answer["errors"])
    return answer["data"]


def refused(document: str) -> list[tuple[str, str]]:
    answer = puff.global_graphql().query(document, {})
    return [(error["message"], error["extensions"]["code"]) for error in answer["errors"]]


def same(document: str, expected: Any, **headers: str) -> None:
    found = ask(document, **headers)
    assert found == expected, f"{document}\n{found}\nis not\n{expected}"


def relations() -> None:
    same(
        "{ countries { code label authors { id name works { id } } } }",
        {
            "countries": [
                {
                    "code": country.code,
                    "label": country.label,
                    "authors": [
                        {
                            "id": str(author.pk),
                            "name": author.name,
                            "works": [{"id": str(work.pk)} for work in author.works.order_by("id")],
                        }
                        for author in country.authors.order_by("pk")
                    ],
                }
                for country in Country.objects.order_by("code")
            ]
        },
    )
    same(
        "{ authors { shouted born country_id country { code } } }",
        {
            "authors": [
                {
                    "shouted": f"{author.name.upper()}!",
                    "born": None if author.born is None else author.born.isoformat(),
                    "country_id": author.country_id,
                    "country": None if author.country is None else {"code": author.country_id},
                }
                for author in Author.objects.order_by("id")
            ]
        },
    )
    found = ask("{ books { id tags { word } author { name } sheet { motto book { id } } } }")["books"]
    for one, book in zip(found, Book.objects.order_by("id"), strict=True):
        sheet = Sheet.objects.filter(book=book).first()
        assert {tag["word"] for tag in one["tags"]} == set(book.tags.values_list("word", flat=True))
        assert one["author"] == {"name": book.author.name}
        assert one["sheet"] == (sheet and {"motto": sheet.motto, "book": {"id": str(book.pk)}})
    same(
        "{ rooms { name parent { name } by_tag { word } country { code } } }",
        {
            "rooms": [
                {
                    "name": room.name,
                    "parent": room.parent and {"name": room.parent.name},
                    "by_tag": {"word": room.by_tag_id},
                    "country": None,
                }
                for room in Room.objects.order_by("name")
            ]
        },
    )
    for one in ask("{ rooms { name children { name } doors { name } keys { word } } }")["rooms"]:
        room = Room.objects.get(name=one["name"])
        for name in ("children", "doors"):
            names = set(getattr(room, name).values_list("name", flat=True))
            assert {other["name"] for other in one[name]} == names, (name, one)
        assert {key["word"] for key in one["keys"]} == {key.word for key in room.keys.all()}
    print("the same")


def values() -> None:
    names = "key price pages sold shelf genre lent words marks read_at length years notes data scan seen_from"
    found = ask(f"{{ books {{ id {names} }} }}")["books"]
    for one, book in zip(found, Book.objects.order_by("id"), strict=True):
        assert one["key"] == str(book.key)
        assert one["price"] == (None if book.price is None else float(book.price))
        assert one["sold"] == str(book.sold)
        assert one["genre"] == book.genre.upper()
        assert one["scan"] == (book.scan.url if book.scan else None)
        assert one["notes"] == book.notes
        assert (one["read_at"] is None) == (book.read_at is None)
        assert (one["years"] is None) == (book.years is None)
        for name in ["pages", "shelf", "lent", "words", "marks", "data", "seen_from"]:
            assert one[name] == getattr(book, name), name
    print("the same")


def asked() -> None:
    def works(arguments: str) -> list[str]:
        return [work["title"] for work in ask(f"{{ works({arguments}) {{ title }} }}")["works"]]

    def titles(queryset: Any) -> list[str]:
        return list(queryset.values_list("title", flat=True))

    every = Work.objects.order_by("id")
    assert works("limit: 5, offset: 3") == titles(every[3:8])
    assert works("limit: 0") == []
    assert works('filters: {title: "Book 5"}') == ["Book 5"]
    assert works('filters: {title__icontains: "0%"}, limit: 9') == titles(
        every.filter(title__icontains="0%")[:9]
    )
    assert works("filters: {long: false}") == titles(every.filter(book__pages__lt=250)[:20])
    assert works('filters: {any_of: [{title: "Book 5"}, {title: "Book 8"}]}') == ["Book 5", "Book 8"]
    assert works('filters: {title__icontains: "Book 5", none_of: [{title: "Book 5"}]}') == titles(
        every.filter(title__icontains="Book 5").exclude(title="Book 5")
    )
    assert works('filters: {all_of: [{title__icontains: "5"}, {title__icontains: "1"}]}') == titles(
        every.filter(title__icontains="5").filter(title__icontains="1")
    )
    many = every.filter(tags__word__in=["red", "it's"]).distinct()
    assert works("""limit: 100, filters: {tags__word__in: ["red", "it's"]}""") == titles(many)
    assert works("order: [AUTHOR_NAME_DESC, TITLE_ASC], limit: 100") == titles(
        every.order_by("-author__name", "title")
    )
    assert works("filters: null, order: [], limit: 2") == titles(every[:2])
    ids = ", ".join(str(key) for key in Author.objects.values_list("pk", flat=True)[:2])
    found = ask(f"{{ books(filters: {{author__in: [{ids}], genre: POEM, pages__gte: 3}}) {{ id }} }}")[
        "books"
    ]
    theirs = Book.objects.filter(author__in=ids.split(","), genre="poem", pages__gte=3).order_by("id")
    assert [int(book["id"]) for book in found] == [book.pk for book in theirs]
    same(
        '{ books(filters: {key: "00000000-0000-0000-0000-000000000007"}) { title } }',
        {"books": [{"title": Book.objects.get(key="00000000-0000-0000-0000-000000000007").title}]},
    )
    author = Author.objects.exclude(country=None).first()
    same(
        f'{{ author_of(name: "{author.name}", country: "{author.country_id}") {{ id }} }}',
        {"author_of": {"id": str(author.pk)}},
    )
    same(
        '{ work(id: 99999) { id } huge: work(id: "99999999999999999999") { id } }',
        {"work": None, "huge": None},
    )
    shelved = Book.objects.exclude(shelf=None).first()
    same(
        f"{{ on_shelf(id: {shelved.pk}, shelf: {shelved.shelf}) {{ id }} }}",
        {"on_shelf": {"id": str(shelved.pk)}},
    )
    same(f"{{ on_shelf(id: {shelved.pk}, shelf: 40000) {{ id }} }}", {"on_shelf": None})  # no smallint
    for shelf in (2, 40_000):  # the second is no smallint
        theirs = Book.objects.filter(shelf=shelf).order_by("id")
        found = ask(f"{{ books(filters: {{shelf: {shelf}}}) {{ id }} }}")["books"]
        assert [int(book["id"]) for book in found] == [book.pk for book in theirs]
    for filters, condition in (
        ('price__lte: "12.50"', {"price__lte": "12.5"}),
        ('added__gt: "2021-06-01T00:00:00Z"', {"added__gt": "2021-06-01T00:00:00Z"}),
        ("lent: true", {"lent": True}),
        ("shelf__isnull: true", {"shelf__isnull": True}),
        ('author__name__iexact: "AUTHOR 3"', {"author__name__iexact": "author 3"}),
        ('title__endswith: "\'"', {"title__endswith": "'"}),
        ('sold__in: ["1", "99999999999999999999"]', {"sold__in": [1]}),
        ('data: {n: 7, s: "x\'y"}', {"data": {"n": 7, "s": "x'y"}}),
        ('words__overlap: ["one"]', {"words__overlap": ["one"]}),
        ("added__year: 2021", {"added__year": 2021}),
    ):
        theirs = Book.objects.filter(**condition).order_by("id")
        found = ask(f"{{ books(filters: {{{filters}}}) {{ id }} }}")["books"]
        assert [int(book["id"]) for book in found] == [book.pk for book in theirs], filters
        assert theirs or "sold" in filters, filters
    print(refused('{ work(id: "abc") { id } }'))
    print(refused("{ works(limit: 1000) { id } }"))
    print(refused("{ works(offset: -1) { id } }"))
    print(refused('{ books(filters: {author__in: ["abc"]}) { id } }'))
    print(refused("{ works(filters: {any_of: [{long: true}]}) { id } }"))
    deep = '{title: "x"}'
    for _ in range(9):
        deep = f"{{any_of: [{deep}]}}"
    print(refused(f"{{ works(filters: {deep}) {{ id }} }}"))


def pages() -> None:
    def read(arguments: str, order: str) -> None:
        titles: list[str] = []
        cursor = "null"
        while True:
            page = ask(
                f"{{ pages(first: 7, after: {cursor}{arguments}) "
                "{ totalCount nodes { title } pageInfo { endCursor hasNextPage } } }"
            )["pages"]
            titles += [node["title"] for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            cursor = f'"{page["pageInfo"]["endCursor"]}"'
        assert len(titles) == page["totalCount"]
        theirs = Work.objects.filter(title__icontains="1" if arguments else "").order_by(*order.split())
        assert titles == list(theirs.values_list("title", flat=True)), (titles, theirs)

    read("", "pk")
    read(', order: [AUTHOR_NAME_DESC, ADDED_ASC], filters: {title__icontains: "1"}', "-author__name added pk")
    read(', order: [TITLE_DESC], filters: {title__icontains: "1"}', "-title pk")
    found = ask("{ tags { word works { totalCount nodes { title } } } }")["tags"]
    for one in found:
        theirs = Work.objects.filter(tags__word=one["word"]).order_by("-added")
        assert one["works"]["totalCount"] == theirs.count()
        assert [node["title"] for node in one["works"]["nodes"]] == list(
            theirs.values_list("title", flat=True)[:2]
        )
    found = ask("{ tags { word works(order: [TITLE_ASC], first: 3) { nodes { title } } } }")["tags"]
    for one in found:
        theirs = (
            Tag.objects.get(word=one["word"]).works.order_by("title", "pk").values_list("title", flat=True)
        )
        assert [node["title"] for node in one["works"]["nodes"]] == list(theirs[:3])
    print("the same")


def limits() -> None:
    """What `get_queryset` and permissions do, wherever objects come from."""
    document = "{ questions(limit: 150) { text choice_count choices { text votes { voter } } } }"
    for headers in ({}, {"authorization": "Bearer counter", "but": "Question 3"}):
        questions = Question.objects.exclude(text=headers.get("but", ""))
        found = ask(document, **headers)["questions"]
        assert [one["text"] for one in found] == [one.text for one in questions]
        assert {one["choice_count"] for one in found} == {3}
        votes = [vote for one in found for choice in one["choices"] for vote in choice["votes"]]
        all_votes = Vote.objects.filter(choice__question__in=questions)
        counted = all_votes if headers else all_votes.filter(secret=False)
        assert 0 < len(votes) == counted.count(), (len(votes), counted.count())
    first = Question.objects.get(text="Question 3")
    same(f"{{ question(id: {first.pk}) {{ text }} }}", {"question": None}, but="Question 3")
    # From below as well: its choices are there, and they have no question.
    some = Choice.objects.filter(question=first).first()
    votes = "{ questions(limit: 200) { choices { id question { text } } } }"
    found = [one for question in ask(votes)["questions"] for one in question["choices"]]
    assert {"id": str(some.pk), "question": {"text": "Question 3"}} in found
    answer = puff.global_graphql().query(document, {}, headers={"refused": "yes"})
    assert answer["data"] is None
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
    print("limited")


def kinds() -> None:
    """Which fields never enter Python."""
    definition = graphql.build_schema(schema.Schema)
    found: dict[str, list[str]] = {}
    for resolver in definition.resolvers:
        found.setdefault(resolver.kind, []).append(f"{resolver.type_name}.{resolver.field_name}")
    for kind, names in found.items():
        print(kind, *sorted(names))
