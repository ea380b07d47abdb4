from django.urls import path, register_converter
from django.urls.converters import IntConverter

from . import authoring, listing, mine, moderation, results, views

MAX_ID = 2**63 - 1


class IdConverter(IntConverter):
    """The id of a row: no larger than the database's numbers are."""

    def to_python(self, value):
        # Raises ValueError, which is a 404, for what is too long to be read, too.
        pk = int(value)
        if pk > MAX_ID:
            raise ValueError
        return pk


register_converter(IdConverter, "id")

app_name = "polls"
urlpatterns = [
    path("", listing.PollListView.as_view(), name="list"),
    path("new/", authoring.NewView.as_view(), name="new"),
    path("mine/", mine.MineView.as_view(), name="mine"),
    path("mine.csv", mine.MineCsvView.as_view(), name="mine_csv"),
    path("<id:pk>/", views.BallotView.as_view(), name="ballot"),
    path("<id:pk>/vote/", views.VoteView.as_view(), name="vote"),
    path("<id:pk>/report/", moderation.ReportView.as_view(), name="report"),
    path("<id:pk>/results/", results.ResultsView.as_view(), name="results"),
    path("<id:pk>/results.json", results.ResultsJsonView.as_view(), name="results_json"),
    path("<id:pk>/results.csv", results.ResultsCsvView.as_view(), name="results_csv"),
    path("<id:pk>/ballots.json", results.BallotsJsonView.as_view(), name="ballots_json"),
    path("<id:pk>/ballots.csv", results.BallotsCsvView.as_view(), name="ballots_csv"),
    path("<id:pk>/integrity/", results.IntegrityView.as_view(), name="integrity"),
    path("<id:pk>/snapshot.json", results.SnapshotView.as_view(), name="snapshot"),
    path("<id:pk>/edit/", authoring.EditView.as_view(), name="edit"),
    path("<id:pk>/publish/", authoring.PublishView.as_view(), name="publish"),
    path("<id:pk>/close/", authoring.CloseView.as_view(), name="close"),
    path("<id:pk>/reopen/", authoring.ReopenView.as_view(), name="reopen"),
    path("<id:pk>/copy/", authoring.CopyView.as_view(), name="copy"),
    path("<id:pk>/trash/", authoring.TrashView.as_view(), name="trash"),
    path("<id:pk>/restore/", authoring.RestoreView.as_view(), name="restore"),
]
