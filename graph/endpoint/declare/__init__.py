"""What a schema says about its fields: what they cost, how their answers may be kept, what their events promise."""
