"""What can be asked of the shop."""

from django.urls import path

from . import views

urlpatterns = [
    path("carts/<str:cart>/items", views.change_cart),
    path("carts/<str:cart>/checkout", views.check_out),
    path("carts/<str:cart>/order", views.confirm_order),
    path("events", views.take_webhook),
    path("board", views.show_board),
    path("deals/<str:deal>", views.show_deal),
    path("deals/<str:deal>/move", views.move_by_hand),
]
