from . import test_auditor, test_facts, test_use
