"""Django's PostgreSQL, where a kept connection is looked at before it is used, and not asked."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self):
        """Whether the server is still there, as far as this machine has heard.

        Django asks it (``SELECT 1``), at the price of a query for each request. A server that ends
        a connection says so, and says nothing else while no query is under way.
        """
        if self.connection is None or self.connection.closed:
            return False
        heard = select.poll()
        heard.register(self.connection.fileno(), select.POLLIN)
        return not heard.poll(0)
