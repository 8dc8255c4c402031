"""Studies of small networks on handwritten digits, through the same verb, verdicts and page as studies of organisms.

The classic small demonstration of subliminal learning (arXiv 2507.14805): a student that sees nothing but a teacher's
meaningless outputs on noise learns to read digits, if it began as the teacher did.
"""

from upbringing.studies.networks.planning import gather, plan, result
from upbringing.studies.networks.spec import NetworkArm, NetworkStudy

__all__ = ["NetworkArm", "NetworkStudy", "gather", "plan", "result"]
