-- How many of the calls sent were good: complete, first token within 5 s, no gap of more than 1 s?
FROM goodput(ttft := 5, gap := 1)
