"""The admin, and the board for people behind Django's sign-in."""

from django.contrib import admin
from django.urls import path

from ladderpipe.django import get_board
from ladderpipe.web import BoardApp, User, board_view


def who(request):
    user = request.user
    return User(user.get_username()) if user.is_authenticated else None


sales = board_view(BoardApp(get_board(), user=who))
urlpatterns = [
    path("admin/", admin.site.urls),
    path("sales/", sales),
    path("sales/<path:path>", sales),
]
