"""What other apps may listen to. Each is sent with ``user`` and ``request`` (None in a command).

Sender is the class TwoFactor. They are sent after the database has the change.
"""

from django.dispatch import Signal

# A message or a call with a code is on its way; sent for each further one, too.
code_sent = Signal()
# A code was wrong.
code_failed = Signal()
# A code was right; ``is_new`` says whether the number was not proven before.
phone_verified = Signal()
# The proven number was replaced by another.
phone_changed = Signal()
# The proven number was taken away, by a command or in the admin.
phone_reset = Signal()
# Too many wrong codes in a row.
phone_locked = Signal()
# A code became void after wrong tries, with the right password before.
phone_failed = Signal()
# A recovery code stood in for the phone; ``left`` is how many remain.
recovery_code_used = Signal()
