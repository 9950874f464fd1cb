"""unittest, without pytest: `python -m unittest`. A replay is a context manager, or makes a client."""

from __future__ import annotations

import unittest
from pathlib import Path

import anthropic
import httpx2
from chat import Chat

import recorder
from recorder import faults

RECORDING = Path(__file__).parent / "recordings" / "chat.jsonl"


class TestChat(unittest.TestCase):
    def setUp(self) -> None:
        self.replay = self.enterContext(recorder.replay(RECORDING))
        self.chat = Chat(self.enterContext(anthropic.Anthropic(api_key="none needed")))

    def test_it_remembers_what_was_said(self) -> None:
        self.assertEqual("Nice to meet you, Ada.", self.chat.say("I am Ada."))
        self.assertEqual("You are Ada.", self.chat.say("Who am I?"))
        self.assertEqual([], self.replay.unused)

    def test_what_was_not_recorded_is_told_at_once(self) -> None:
        with self.assertRaisesRegex(recorder.NoMatch, r'"I am Ada." recorded, "I am Bob." asked'):
            self.chat.say("I am Bob.")


class TestBrokenStreams(unittest.TestCase):
    def test_half_an_answer_is_not_remembered(self) -> None:
        for fault in (faults.cut_clean(at=4), faults.cut_dirty(at=4), faults.error_event(at=4)):
            with self.subTest(str(fault)), recorder.replay(RECORDING, faults=fault).client() as claude:
                chat = Chat(claude)
                with self.assertRaises((EOFError, httpx2.TransportError, anthropic.APIStatusError)):
                    chat.say("I am Ada.")
                self.assertEqual([], chat.said)


if __name__ == "__main__":
    unittest.main()
