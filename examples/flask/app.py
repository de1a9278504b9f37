"""A library: books, readers, and who has what. Flask and SQLAlchemy as ever; Puff serves, Puff queries."""

import os
from datetime import date, timedelta

from flask import Flask, abort, flash, redirect, render_template, request, url_for
from models import Base, Book, Loan
from sqlalchemy import create_engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, scoped_session, sessionmaker

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "only for trying out")

# The program's database: PUFF_POSTGRES_URL, or a private server. Nothing is opened yet.
engine = create_engine("postgresql+puff://", pool_size=10, max_overflow=0)
# One session a request: sessions are kept in a `threading.local`, which is a greenlet's own inside a program.
Session = scoped_session(sessionmaker(engine))


@app.teardown_appcontext
def end_session(error):
    Session.remove()


@app.get("/")
def shelf():
    books = select(Book).options(joinedload(Book.loan)).order_by(Book.title)
    return render_template("shelf.html", books=Session.scalars(books).unique().all())


@app.post("/books")
def add():
    title, author = (request.form.get(name, "").strip() for name in ("title", "author"))
    if not title or not author:
        abort(400, "a book has a title and an author")
    Session.add(Book(title=title, author=author))
    Session.commit()
    return redirect(url_for("shelf"))


@app.post("/books/<int:book_id>/lend")
def lend(book_id):
    reader = request.form.get("reader", "").strip() or abort(400, "who takes it?")
    if Session.get(Book, book_id) is None:
        abort(404)
    Session.add(Loan(book_id=book_id, reader=reader, due=date.today() + timedelta(weeks=4)))
    try:
        Session.commit()
    except IntegrityError:  # two at once: the database lets one have it
        Session.rollback()
        flash("Somebody else was faster.")
    return redirect(url_for("shelf"))


@app.post("/books/<int:book_id>/return")
def give_back(book_id):
    Session.delete(Session.get(Loan, book_id) or abort(404))
    Session.commit()
    return redirect(url_for("shelf"))


@app.get("/report")
def report():
    """Takes a second in the database. Others are served meanwhile."""
    late = select(func.count()).select_from(Loan).where(Loan.due < func.current_date())
    Session.execute(select(func.pg_sleep(1)))
    return {"books": Session.scalar(select(func.count(Book.id))), "late": Session.scalar(late)}


def create():
    """`puff run app.create`: the tables and a few books."""
    Base.metadata.create_all(engine)
    with Session.begin():
        if Session.scalar(select(func.count(Book.id))) == 0:
            Session.add_all(
                [
                    Book(title="The Mythical Man-Month", author="Frederick P. Brooks"),
                    Book(
                        title="Structure and Interpretation of Computer Programs", author="Abelson, Sussman"
                    ),
                    Book(title="A Pattern Language", author="Christopher Alexander"),
                ]
            )
    print("ready: puff runserver")
