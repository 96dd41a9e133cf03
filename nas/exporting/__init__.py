"""Networks on their way out: as a Python file that needs torch alone, as ONNX, as an exported program of torch."""

from nas.exporting.formats import FORMATS
from nas.exporting.running import Exported, export, export_beside

__all__ = ["FORMATS", "Exported", "export", "export_beside"]
