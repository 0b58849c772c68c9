"""Tests of the handler, without any queue: python3 -m unittest"""

import unittest

from handler import process


class ProcessTest(unittest.TestCase):
    def test_the_one_who_is_named_is_greeted(self):
        self.assertEqual(process({"name": "world"}), {"greeting": "Hello, world!"})

    def test_without_a_name_it_is_a_stranger(self):
        self.assertEqual(process({}), {"greeting": "Hello, stranger!"})

    def test_a_payload_that_is_no_object_is_refused(self):
        with self.assertRaises(AttributeError):
            process(["world"])


if __name__ == "__main__":
    unittest.main()
