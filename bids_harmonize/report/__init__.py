"""Pages made from files on disk only, so that they can be made again at no cost."""

from bids_harmonize.report.group import write_group_page
from bids_harmonize.report.participant import draw_raw_figures, write_participant_page

__all__ = ["draw_raw_figures", "write_group_page", "write_participant_page"]
