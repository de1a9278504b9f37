from django.urls import path

from . import views

app_name = "polls"
urlpatterns = [
    path("", views.index, name="index"),
    path("about/", views.about, name="about"),
    path("ask/", views.ask, name="ask"),
    path("polls/<int:pk>/", views.detail, name="detail"),
    path("polls/<int:pk>/vote/", views.vote, name="vote"),
    path("polls/<int:pk>/live/", views.live, name="live"),
    path("polls/<int:pk>/comment/", views.comment, name="comment"),
    path("people/<str:username>/", views.person, name="person"),
    path("sign-up/", views.sign_up, name="sign_up"),
]
