"""The tables."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Book(Base):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author: Mapped[str]
    loan: Mapped[Loan | None] = relationship(back_populates="book", cascade="all, delete-orphan")


class Loan(Base):
    __tablename__ = "loan"

    # The key is the book's: a book is lent once at a time, whatever two requests do at once.
    book_id: Mapped[int] = mapped_column(ForeignKey("book.id"), primary_key=True)
    reader: Mapped[str]
    due: Mapped[date]
    book: Mapped[Book] = relationship(back_populates="loan")
