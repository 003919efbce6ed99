import strawberry


@strawberry.type
class Fruit:
    name: str
