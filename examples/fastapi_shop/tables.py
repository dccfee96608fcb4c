"""The shop's own table, on SQLite or PostgreSQL."""

import os

from sqlalchemy import CheckConstraint, create_engine, make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE_URL = os.environ.get("DATABASE_URL", "sqlite:///shop.db")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (CheckConstraint("cents > 0"),)

    number: Mapped[int] = mapped_column(primary_key=True)
    cart: Mapped[str] = mapped_column(unique=True)
    cents: Mapped[int]


def engine_for(url: str):
    if url.startswith("sqlite"):
        return create_engine(url, connect_args={"timeout": 60})  # seconds to wait for the lock
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"))


engine = engine_for(DATABASE_URL)
Base.metadata.create_all(engine)
