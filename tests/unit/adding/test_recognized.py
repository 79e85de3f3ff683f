"""What a folder is found to be: the images that readers see in it."""

from own_data import picture

from stages.adding.recognized import images_of


def test_images_of_a_folder_are_those_of_its_subfolders_too_and_tools_leave_none(tmp_path):
    for number, name in enumerate(("a.jpg", "below/B.PNG", ".trash/gone.jpg", "._a.jpg", "notes.txt")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture(number))
    assert list(images_of(tmp_path).paths) == ["a", "below/B"]
