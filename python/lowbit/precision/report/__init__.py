"""What a quantization did, for people: a page of charts and tables, and a table for the terminal."""

from .page import render, write_report
from .summary import summary

__all__ = ["render", "summary", "write_report"]
