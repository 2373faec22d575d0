"""All planted mistakes."""

from planted_cover import COVER
from planted_sending import SENDING
from planted_truth import TRUTH

MUTANTS = (*SENDING, *COVER, *TRUTH)
