"""What ``tests/run.py --quick`` runs of the tests: three minutes on two idle cores, for use while one works.

Of every room the tests that a change most often breaks: the whole way of an edit, the messages, the files, and what
docs and rooms promise, all on networks of a few pixels. Left out is what takes long for what it can find: training and
recipes, notebooks and kernels that are started, files that an attacker wrote, other versions of packages, and hosts; of
the page, all but the one that is driven before a kernel of a few lines.
"""

from __future__ import annotations

QUICK = [
    # What is promised: docs and code, rooms, settings, the command.
    "tests/test_cli.py",
    "tests/test_config.py",
    "tests/test_docs.py",
    "tests/test_files.py",
    "tests/test_quick.py",
    "tests/test_rooms.py",
    "tests/test_settings.py",
    "tests/test_supported.py",
    "tests/test_texts.py",
    # Numbers of every engine, as they were recorded, and how an engine is one.
    "tests/golden",
    "tests/dragging/test_bad_input.py",
    "tests/dragging/test_run.py",
    "tests/engines/test_an_engine_of_ones_own.py",
    "tests/engines/test_engines_and_models.py",
    "tests/engines/test_held.py",
    "tests/engines/test_natural_plainly.py",
    # Latent to picture, and files of weights as people have them.
    "tests/models/test_compositing.py",
    "tests/models/test_space.py",
    "tests/models/test_stylegan2.py",
    "tests/models/checkpoints/test_reading_files.py",
    "tests/models/checkpoints/test_whole_way.py",
    # Words, photographs, and what is done with edits.
    "tests/directions/test_words.py",
    "tests/inversion/test_alignment.py",
    "tests/analysis/test_ledger.py",
    "tests/analysis/test_views.py",
    # One edit over time.
    "tests/editing/test_asking.py",
    "tests/editing/test_dragfile.py",
    "tests/editing/test_jobs.py",
    "tests/editing/test_points_and_history.py",
    "tests/editing/test_session.py",
    "tests/editing/test_timeline.py",
    "tests/editing/test_worker.py",
    # The notebook's face.
    "tests/widget/test_answers.py",
    "tests/widget/test_editor.py",
    "tests/widget/test_outbox.py",
    "tests/widget/test_protocol.py",
    "tests/widget/test_save_and_load.py",
    "tests/widget/test_stream.py",
    "tests/widget/test_traits.py",
]
QUICK_IN_A_BROWSER = ["tests/e2e/test_demo_page.py", "tests/e2e/test_page.py"]
