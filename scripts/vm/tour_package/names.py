OWN = "tour"
