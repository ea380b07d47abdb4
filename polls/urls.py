from django.urls import path

from . import authoring, listing, mine, moderation, results, views

app_name = "polls"
urlpatterns = [
    path("", listing.PollListView.as_view(), name="list"),
    path("new/", authoring.NewView.as_view(), name="new"),
    path("mine/", mine.MineView.as_view(), name="mine"),
    path("mine.csv", mine.MineCsvView.as_view(), name="mine_csv"),
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
    path("<int:pk>/edit/", authoring.EditView.as_view(), name="edit"),
    path("<int:pk>/publish/", authoring.PublishView.as_view(), name="publish"),
    path("<int:pk>/close/", authoring.CloseView.as_view(), name="close"),
    path("<int:pk>/reopen/", authoring.ReopenView.as_view(), name="reopen"),
    path("<int:pk>/copy/", authoring.CopyView.as_view(), name="copy"),
    path("<int:pk>/trash/", authoring.TrashView.as_view(), name="trash"),
    path("<int:pk>/restore/", authoring.RestoreView.as_view(), name="restore"),
]
