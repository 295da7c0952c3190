SELECT least((SELECT min(wake) FROM pumasi_saga WHERE wake IS NOT NULL), (SELECT min(until) FROM leases))
