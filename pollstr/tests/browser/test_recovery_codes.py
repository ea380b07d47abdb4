from pathlib import Path

from two_factor.recovery import RecoveryCode

from .steps import press


def test_recovery_codes_can_be_downloaded(page, verified, user, enter):
    enter(verified)
    page.goto("/2fa/recovery-codes/")
    press(page, "Make ten new codes")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "pollstr-recovery-codes.txt"
    codes = Path(download.value.path()).read_text().split()
    assert codes == page.locator(".codes code").all_inner_texts()
    assert RecoveryCode.objects.use(user, codes[0])


def test_recovery_codes_can_be_copied(page, context, verified, enter):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    enter(verified)
    page.goto("/2fa/recovery-codes/")
    press(page, "Make ten new codes")
    press(page, "Copy")
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.split("\n") == page.locator(".codes code").all_inner_texts()
