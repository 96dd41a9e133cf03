"""Networks side by side: found, scaled and hand-designed, trained alike, tested once, chance accounted for."""
