"""What our own modules log."""

import logging

from stages.core.log import show_log


def test_what_our_modules_log_is_a_line_each_and_what_is_wrong_begins_with_its_level(capsys):
    show_log()
    show_log()
    log = logging.getLogger("stages.some.module")
    log.info("shards: 3")
    log.warning("100 %s of it are gone", "%")
    log.debug("not shown")
    logging.getLogger("mlflow").info("not ours")
    assert capsys.readouterr().err == "shards: 3\nWARNING 100 % of it are gone\n"
