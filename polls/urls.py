from django.urls import path

from . import listing, moderation, results, views

app_name = "polls"
urlpatterns = [
    path("", listing.PollListView.as_view(), name="list"),
    path("<int:pk>/", views.BallotView.as_view(), name="ballot"),
    path("<int:pk>/vote/", views.VoteView.as_view(), name="vote"),
    path("<int:pk>/report/", moderation.ReportView.as_view(), name="report"),
    path("<int:pk>/results/", results.ResultsView.as_view(), name="results"),
    path("<int:pk>/results.json", results.ResultsJsonView.as_view(), name="results_json"),
    path("<int:pk>/results.csv", results.ResultsCsvView.as_view(), name="results_csv"),
    path("<int:pk>/ballots.json", results.BallotsJsonView.as_view(), name="ballots_json"),
    path("<int:pk>/ballots.csv", results.BallotsCsvView.as_view(), name="ballots_csv"),
    path("<int:pk>/integrity/", results.IntegrityView.as_view(), name="integrity"),
    path("<int:pk>/snapshot.json", results.SnapshotView.as_view(), name="snapshot"),
]
